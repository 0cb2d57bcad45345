import type { Claim, Run } from './record.ts'

const claimOf = ({ session, client, mode, limit, lease, metadata, reserve }: Claim): Claim => ({
  ...{ session, client, mode, limit, lease, metadata, reserve },
})

/** Whether a request is part of a run. */
export const contains = (run: Run, session: string, number: number): boolean => run.session === session && run.from <= number && number <= run.to

/** Whether a run of one request continues another run: everything but the numbers is the same. */
export const continues = (run: Run, next: Run): boolean =>
  run.session === next.session &&
  run.to === next.from - 1 &&
  run.confirm === next.confirm &&
  run.lapses === next.lapses &&
  JSON.stringify([claimOf(run), run.ask]) === JSON.stringify([claimOf(next), next.ask])
