// The main process: it starts the utility process, gives each window a port to it, and takes turns with them through its own port.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { app, BrowserWindow, ipcMain, MessageChannelMain, type MessagePortMain, utilityProcess } from 'electron'
import { wrap } from 'storelock/worker'
import { writerOver } from './ledger.ts'
import { takeTurns } from './take-turns.ts'

const here = import.meta.dirname
const hold = 400

app.whenReady().then(() => {
  const folder = mkdtempSync(join(tmpdir(), 'storelock-electron-'))
  const utility = utilityProcess.fork(join(here, 'utility.mjs'), [join(folder, 'app.db'), String(hold)])
  const portToUtility = (): MessagePortMain => {
    const { port1, port2 } = new MessageChannelMain()
    utility.postMessage('connect', [port1])
    return port2
  }

  const port = portToUtility()
  takeTurns(wrap(port, { label: 'main' }), writerOver(port, 'main'), () => {}, new AbortController().signal, hold)

  for (const [index, who] of ['window 1', 'window 2'].entries()) {
    const window = new BrowserWindow({
      width: 460,
      height: 560,
      x: 80 + 480 * index,
      y: 80,
      title: who,
      webPreferences: { preload: join(here, 'preload.cjs') },
    })
    // This also happens after a crash and a reload.
    window.webContents.on('did-finish-load', () => window.webContents.postMessage('port', who, [portToUtility()]))
    window.webContents.on('render-process-gone', () => setTimeout(() => window.reload(), 3_000))
    window.loadFile(join(here, 'window.html'))
  }
  ipcMain.on('crash', ({ sender }) => sender.forcefullyCrashRenderer())

  app.on('window-all-closed', () => app.quit())
  utility.once('exit', () => rmSync(folder, { recursive: true, force: true }))
})
