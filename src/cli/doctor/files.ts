import { existsSync, readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs'
import { sessionOf } from '../../beacons/sidecar/files.ts'
import { triedFolders } from '../../channels/socket/place.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** Network file systems, on which file locks may not work. */
const networks =
  /^(nfs\d?|cifs|smb\w*|ncpfs|afs|ceph|glusterfs|lustre|gpfs|beegfs|ocfs2|gfs2|davfs\d?|9p|virtiofs|vboxsf|fuse\.(sshfs|rclone|s3fs|gcsfuse|glusterfs|ceph\w*))$/

/** @param mounts as the system lists them, if it does */
export function checkFileSystem(file: string, mounts = readMounts()): Finding {
  const path = realpathSync(file)
  const [type] = mounts
    .filter(({ at }) => path === at || path.startsWith(at.endsWith('/') ? at : `${at}/`))
    // The file is on the mount with the longest matching path, and of two mounts at one path on the last.
    .reduce<[string, number]>((best, { type, at }) => (at.length >= best[1] ? [type, at.length] : best), ['', -1])
  if (!type) return note('file system', 'this system does not show which one the file is on', 'check that it is a local one')
  if (!networks.test(type)) return ok('file system', type)
  return fault(
    'file system',
    `${type}, on which file locks may not work between machines`,
    'move the file to a local disk, or use a lock server (`storelock serve`)',
  )
}

/** The space that the next few writes need at least, in bytes. */
const room = 1_048_576

/** @param left the free space on the disk, in bytes */
export function checkSpace(file: string, left = spaceFor(file)): Finding {
  const found = `${Math.floor(left / room)} MiB left`
  return left >= room ? ok('space', found) : fault('space', found, 'free some space: without it, no lock can be taken or renewed')
}

function spaceFor(file: string): number {
  const { bavail, bsize } = statfsSync(file)
  return bavail * bsize
}

export interface Mount {
  readonly type: string
  readonly at: string
}

/** The lines of `/proc/mounts`. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [, at, type] = line.split(' ')
    if (!at || !type) return []
    return [{ type, at: at.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))) }]
  })
}

function readMounts(): Mount[] {
  try {
    return parseMounts(readFileSync('/proc/mounts', 'utf8'))
  } catch {
    return []
  }
}

/** The directory of the sockets by which processes of this user wake each other. */
export function checkSockets(): Finding {
  const found = triedFolders()
  const usable = found.find(({ fault }) => !fault)
  if (usable) return ok('socket directory', usable.folder)
  const faults = found.map(({ folder, fault }) => `${folder} ${fault}`).join('; ')
  return fault(
    'socket directory',
    faults,
    'make it accessible only for yourself (chmod 700), or set TMPDIR or XDG_RUNTIME_DIR to a short path of your own',
  )
}

/** @param isKnown whether a session still has a row */
export function checkSidecars(file: string, isKnown: (session: string) => boolean): Finding {
  const folder = `${realpathSync(file)}-storelock`
  const names = namesIn(folder)
  if (!names) return note('beacons', `${folder} is not visible for this user`, 'look as its owner')
  const left = names.filter((name) => !isKnown(sessionOf(name)))
  if (!left.length) return ok('beacons', `${names.length} in use`)
  return note('beacons', `${left.length} of ${names.length} files in ${folder} were left behind`, 'nothing: later sessions remove them')
}

/** The names of the files in a folder; undefined if this user may not list it. */
function namesIn(folder: string): string[] | undefined {
  try {
    return existsSync(folder) ? readdirSync(folder) : []
  } catch {
    return undefined
  }
}
