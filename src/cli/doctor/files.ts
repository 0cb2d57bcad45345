import { existsSync, readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs'
import { sessionOf } from '../../beacons/sidecar/files.ts'
import { triedFolders } from '../../channels/socket/place.ts'
import { type Finding, fault, note, ok } from './finding.ts'

/** File systems of networks, on which locks of files may mean nothing. */
const networks =
  /^(nfs\d?|cifs|smb\w*|ncpfs|afs|ceph|glusterfs|lustre|gpfs|beegfs|ocfs2|gfs2|davfs\d?|9p|virtiofs|vboxsf|fuse\.(sshfs|rclone|s3fs|gcsfuse|glusterfs|ceph\w*))$/

/** @param mounts as the system lists them, where it does */
export function checkFileSystem(file: string, mounts = readMounts()): Finding {
  const path = realpathSync(file)
  const [type] = mounts
    .filter(({ at }) => path === at || path.startsWith(at.endsWith('/') ? at : `${at}/`))
    // The deepest one has the file, and of two at one place the last.
    .reduce<[string, number]>((best, { type, at }) => (at.length >= best[1] ? [type, at.length] : best), ['', -1])
  if (!type) return note('file system', 'this system does not tell which one the file is on', 'see that it is a local one')
  if (!networks.test(type)) return ok('file system', type)
  return fault(
    'file system',
    `${type}, which may not keep locks on files between machines`,
    'move the file to a local disk, or use a lock server (`storelock serve`)',
  )
}

/** Less than this, in bytes, is used up by the next few writes. */
const room = 1_048_576

/** @param left what the disk has left for us, in bytes */
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

/** Where processes of this user wake each other. */
export function checkSockets(): Finding {
  const found = triedFolders()
  const usable = found.find(({ fault }) => !fault)
  if (usable) return ok('socket directory', usable.folder)
  const faults = found.map(({ folder, fault }) => `${folder} ${fault}`).join('; ')
  return fault('socket directory', faults, 'give it to yourself alone (chmod 700), or set TMPDIR or XDG_RUNTIME_DIR to a short path of your own')
}

/** @param isKnown whether a session has a row still */
export function checkSidecars(file: string, isKnown: (session: string) => boolean): Finding {
  const folder = `${realpathSync(file)}-storelock`
  const names = existsSync(folder) ? readdirSync(folder) : []
  const left = names.filter((name) => !isKnown(sessionOf(name)))
  if (!left.length) return ok('beacons', `${names.length} in use`)
  return note('beacons', `${left.length} of ${names.length} files in ${folder} were left behind`, 'nothing: sessions to come sweep them')
}
