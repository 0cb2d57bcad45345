#!/usr/bin/env node
// Starts the command line with the code that V8 compiled for it earlier: compiling takes a fifth of the time until `run` starts its command. The
// first run leaves that code beside the program, where only those who may change the program itself can change it. If the folder cannot be written,
// each start compiles.
'use strict'
const fs = require('node:fs')
const Module = require('node:module')
const { join } = require('node:path')
const { constants, Script } = require('node:vm')

const program = join(__dirname, 'main.cjs')
// V8 refuses what another version has compiled, or the same with other flags.
const compiled = join(__dirname, `main-${process.versions.v8}-${process.arch}.cache`)

const script = new Script(`(function (exports, require, module, __filename, __dirname) {${fs.readFileSync(program, 'latin1')}\n})`, {
  filename: program,
  cachedData: attempt(() => fs.readFileSync(compiled)),
  importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
})
// Afterwards, so that it has the functions that a run calls.
if (process.argv[2] === 'run') process.on('exit', keepCompiled)
// The program's other files require it again.
const main = Object.assign(new Module(program, module), { filename: program, loaded: true })
require.cache[program] = main
script.runInThisContext()(main.exports, require, main, program, __dirname)

function keepCompiled() {
  if (fs.existsSync(compiled)) return
  const part = `${compiled}.${process.pid}`
  attempt(() => {
    fs.writeFileSync(part, script.createCachedData(), { flag: 'wx', mode: 0o644, flush: true })
    fs.renameSync(part, compiled)
  })
  attempt(() => fs.rmSync(part, { force: true }))
}

function attempt(step) {
  try {
    return step()
  } catch {
    return undefined
  }
}
