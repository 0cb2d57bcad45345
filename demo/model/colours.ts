const palette = ['#2f6fed', '#e8590c', '#0f9d76', '#b0399b', '#c08a00', '#6a4ce0', '#d6336c', '#12889e']

/** One colour for each writer, by the number in its name. The first eight are chosen to differ; later ones rotate the hue. */
export function colourOf(writer: string): string {
  const number = Number(/\d+/.exec(writer)?.[0] ?? 1)
  return palette[number - 1] ?? `hsl(${Math.round(number * 137.5) % 360} 60% 46%)`
}
