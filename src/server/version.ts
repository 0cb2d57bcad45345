/** The package's version, as in its manifest: repeated here, since a bundle of the server does not contain the manifest. */
export const version = '0.1.0'
