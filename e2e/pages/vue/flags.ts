// Vue's build for bundlers asks for these, and Vite sets them only in pages that listen for new versions of modules.
Object.assign(globalThis, { __VUE_OPTIONS_API__: true, __VUE_PROD_DEVTOOLS__: false, __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false })
