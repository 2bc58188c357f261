import { defineConfig } from "vite";

// The built page is part of the Python package, so that serving it takes no Node.
export default defineConfig({
  base: "./", // the page may be mounted below a path
  build: {
    outDir: "../hearsight/page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0, // the content security policy allows no data: URLs for fonts and scripts
    reportCompressedSize: false,
  },
  worker: { format: "es" },
  server: {
    // `npm run dev` beside a running `hearsight serve`.
    proxy: {
      "/v1/realtime": { target: "ws://127.0.0.1:8765", ws: true },
      "/readyz": "http://127.0.0.1:8765",
    },
  },
});
