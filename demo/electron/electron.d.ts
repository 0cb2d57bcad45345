// The parts of Electron that the demo uses. Electron is not a dependency, because its package would download a browser on every `npm ci`.
declare module 'electron' {
  import type { EventEmitter } from 'node:events'

  export interface MessagePortMain extends EventEmitter {
    postMessage(message: unknown, transfer?: readonly MessagePortMain[]): void
    start(): void
    close(): void
  }
  export const MessageChannelMain: new () => { readonly port1: MessagePortMain; readonly port2: MessagePortMain }

  interface UtilityProcess extends EventEmitter {
    postMessage(message: unknown, transfer?: readonly MessagePortMain[]): void
  }
  export const utilityProcess: { fork(path: string, args?: readonly string[]): UtilityProcess }

  interface WebContents extends EventEmitter {
    postMessage(channel: string, message: unknown, transfer?: readonly MessagePortMain[]): void
    forcefullyCrashRenderer(): void
  }
  interface WindowOptions {
    readonly width: number
    readonly height: number
    readonly x: number
    readonly y: number
    readonly title: string
    readonly webPreferences: { readonly preload: string }
  }
  export class BrowserWindow {
    constructor(options: WindowOptions)
    readonly webContents: WebContents
    loadFile(path: string): Promise<void>
    reload(): void
  }

  export const app: EventEmitter & { whenReady(): Promise<void>; quit(): void }
  export const ipcMain: { on(channel: string, listener: (event: { readonly sender: WebContents }) => void): void }
  export const ipcRenderer: {
    on(channel: string, listener: (event: { readonly ports: readonly MessagePort[] }, message: unknown) => void): void
    send(channel: string): void
  }
  export const contextBridge: { exposeInMainWorld(name: string, value: unknown): void }
}

declare namespace NodeJS {
  interface Process {
    /** Exists only in a utility process. */
    readonly parentPort: {
      on(type: 'message', listener: (event: { readonly ports: readonly import('electron').MessagePortMain[] }) => void): void
    }
  }
}
