/**
 * The guardian as a shell script, since a shell starts in a millisecond. `run` tells it again and again how long the command may live, in seconds. If
 * `run` is stopped, that time runs out; if `run` ends, the input ends. Either way the guardian ends the command. The first line that it is told is the
 * process to kill (for a process group, with a minus before it); if there is none, it ends.
 *
 * Arguments: the process of `run`, only for people who list processes, a tenth of the grace in seconds, the path of `sleep`, and the signals to send
 * before and after the grace. The guardian prints `ok` when it counts the time, `struck` when it ends the command, and `blind` if `sleep` has
 * failed: then the time has not run out, and is counted once more. It survives the signals that end a whole machine or container, and reports them. A
 * timer that has fired is no longer cancelled. A timer whose shell was killed leaves the command to the next guardian, unless `run` is gone as well.
 */
export const scriptForShell = `
trap '' PIPE
for signal in HUP INT QUIT TERM; do trap "got=1; echo got $signal" $signal; done
target= tenth=$2 sleep=$3 first=$4 last=$5 timer=
strike() {
  trap '' HUP INT QUIT TERM
  echo struck
  kill -s "$first" -- "$target"
  kill -s CONT -- "$target"
  for part in 1 2 3 4 5 6 7 8 9 10; do
    kill -s 0 -- "$target" || return
    "$sleep" "$tenth"
  done
  kill -s "$last" -- "$target"
}
call_off() {
  [ "$timer" ] && kill -s USR1 "$timer" && wait "$timer"
}
until [ "$target" ]; do
  got=
  read -r target || [ "$got" ] || exit
done
while :; do
  got=
  # A signal interrupts it in some shells.
  read -r word || { [ "$got" ] && continue; break; }
  case $word in
    ping) echo pong; continue ;;
    done) call_off; exit ;;
  esac
  call_off
  (
    trap '' HUP INT QUIT TERM
    nap=
    trap 'kill -s KILL $nap; exit' USR1
    "$sleep" "$word" & nap=$!
    wait "$nap" || {
      echo blind
      "$sleep" "$word" & nap=$!
      wait "$nap" || exit
    }
    trap '' USR1
    kill -s 0 $$ || { kill -s 0 $PPID && exit; }
    strike
  ) & timer=$!
  echo ok
done
call_off
strike
`

/** The same guardian in JavaScript, for systems without `sleep`. The grace is in ms. */
export const scriptForNode = `
const [grace, first, last] = process.argv.slice(-3).map((word) => (isNaN(word) ? 'SIG' + word : Number(word)))
let target, timer, struck = false
const say = (line) => process.stdout.write(line + '\\n')
process.stdout.on('error', () => {})
for (const signal of ['HUP', 'INT', 'QUIT', 'TERM']) process.on('SIG' + signal, () => say('got ' + signal))
function kill(signal) {
  try { return process.kill(target, signal) } catch (error) { return error.code === 'EPERM' }
}
function strike() {
  if (struck) return
  struck = true
  say('struck')
  kill(first)
  kill('SIGCONT')
  const end = performance.now() + grace
  const look = () => {
    if (!kill(0)) process.exit()
    if (performance.now() < end) return setTimeout(look, 20)
    kill(last)
    process.exit()
  }
  look()
}
function count(until) {
  clearTimeout(timer)
  const left = until - performance.now()
  if (left <= 0) strike()
  else timer = setTimeout(count, Math.min(left, 2 ** 31 - 1), until)
}
require('node:readline').createInterface({ input: process.stdin }).on('line', (word) => {
  if (word === 'ping') return say('pong')
  if (word === 'done') { if (!struck) process.exit(); return }
  if (struck) return
  if (target === undefined) return target = Number(word)
  count(performance.now() + Number(word) * 1000)
  say('ok')
}).on('close', () => target === undefined ? process.exit() : strike())
`
