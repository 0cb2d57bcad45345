// Vue's build for bundlers reads these flags, and Vite sets them only in pages with hot replacement.
Object.assign(globalThis, { __VUE_OPTIONS_API__: true, __VUE_PROD_DEVTOOLS__: false, __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: false })
