// Builds the package: the native module by cargo, the rest by tsc, and the ES modules that re-export the CommonJS ones.
//
//   node build.mjs [--release] [--check-types]
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const dist = join(here, "dist");
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");

function run(command, args, options) {
  const done = spawnSync(command, args, { cwd: here, stdio: "inherit", ...options });
  if (done.error !== undefined) console.error(`${command}: ${done.error.message}`);
  if (done.status !== 0) process.exit(done.status ?? 1);
  return done;
}

/** Where cargo put the library; only cargo knows. */
function nativeLibrary(release) {
  const args = ["build", "--quiet", "-p", "spendrail-node", "--message-format=json-render-diagnostics"];
  const done = run("cargo", release ? [...args, "--release"] : args, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const made = done.stdout
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const library = made.find(
    (message) => message.reason === "compiler-artifact" && message.target.name === "spendrail_node",
  );
  return library.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
}

if (process.argv.includes("--check-types")) {
  run(process.execPath, [tsc, "-p", "test/types"]);
} else {
  mkdirSync(dist, { recursive: true });
  const addon = join(dist, "spendrail.node");
  // A new file under the old name, in one step: a process may have the old one mapped, and another may load it just now.
  const made = `${addon}.${process.pid}`;
  copyFileSync(nativeLibrary(process.argv.includes("--release")), made);
  renameSync(made, addon);
  run(process.execPath, [tsc, "-p", "."]);
  for (const name of ["index", "testing"]) {
    const names = Object.keys(require(join(dist, `${name}.js`)));
    const exported = names.map((key) => `export const ${key} = module.${key};\n`).join("");
    writeFileSync(join(dist, `${name}.mjs`), `import module from "./${name}.js";\n${exported}`);
    writeFileSync(join(dist, `${name}.d.mts`), `export * from "./${name}.js";\n`);
  }
}
