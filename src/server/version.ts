/** Of the package, as its manifest says: here too, since a bundle of the server stands far from the manifest. */
export const version = '0.1.0'
