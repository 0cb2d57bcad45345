// Passes the window's port on to its page, which sees nothing else of Electron.
import { contextBridge, ipcRenderer } from 'electron'

ipcRenderer.on('port', ({ ports }, who) => window.postMessage({ who }, '*', [...ports]))
contextBridge.exposeInMainWorld('crash', () => ipcRenderer.send('crash'))
