// The kinds of stores that `--store` may name.

export const isUrl = (place: string): boolean => /^https?:\/\//.test(place)

export const isPostgres = (place: string): boolean => /^postgres(ql)?:\/\//.test(place)
export const isRedis = (place: string): boolean => /^rediss?:\/\//.test(place)
export const isEtcd = (place: string): boolean => /^etcds?:\/\//.test(place)

/** Whether it is the address of a database or service that other machines can reach directly. */
export const isShared = (place: string): boolean => isPostgres(place) || isRedis(place) || isEtcd(place)

/** Whether it is the path of a SQLite file, as far as its form shows. */
export const isFile = (place: string): boolean => !isUrl(place) && !isShared(place)

/** A place without its passwords, for output that other users may see. */
export const withoutSecret = (place: string): string =>
  place.replace(/([a-z]+:\/\/[^/?#]*?):[^/?#]*@/gi, '$1:…@').replace(/([?&]password=)[^&]*/gi, '$1…')

/** Splits the URLs of several lock servers on one store, which are separated by commas. */
export const urlsOf = (place: string): string[] => place.split(/,(?=https?:\/\/)/)
