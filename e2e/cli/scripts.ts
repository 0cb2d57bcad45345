import type { Program } from './program.ts'

/** A command for `run`. It prints its process id, which is also its group's, and works until it is killed. */
export const works = 'echo "group $$ "; while :; do sleep 1; done'

/** Ignores TERM, and starts a child that ignores it too. */
export const deaf = `trap '' TERM; sh -c 'echo "grandchild $$ "; while :; do sleep 1; done' & ${works}`

export const groupOf = async (program: Program): Promise<number> => Number(await program.shows(/group (\d+) /))
export const grandchildOf = async (program: Program): Promise<number> => Number(await program.shows(/grandchild (\d+) /))
