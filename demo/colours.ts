const palette = ['#2f6fed', '#e8590c', '#0f9d76', '#b0399b', '#c08a00', '#6a4ce0', '#d6336c', '#12889e']

/** One colour for each writer: the first eight differ. */
export const colourOf = (writer: string): string => palette[(Number(/\d+/.exec(writer)?.[0] ?? 1) - 1) % palette.length] ?? '#888'
