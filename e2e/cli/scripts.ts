import type { Program } from './program.ts'

/** What a `run` is given to run. Prints the id of its process, which is that of its group, and works until somebody ends it. */
export const works = 'echo "group $$ "; while :; do sleep 1; done'

/** Ignores TERM, and has started a process that ignores it, too. */
export const deaf = `trap '' TERM; sh -c 'echo "grandchild $$ "; while :; do sleep 1; done' & ${works}`

export const groupOf = async (program: Program): Promise<number> => Number(await program.shows(/group (\d+) /))
export const grandchildOf = async (program: Program): Promise<number> => Number(await program.shows(/grandchild (\d+) /))
