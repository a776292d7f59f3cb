// The package's engine in a worker: Python, SymPy and cosnb, asked for one part of an answer after the other.
let answer;
let python;

async function fetched(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status}`);
  return response.arrayBuffer();
}

async function start({ folder, digest }) {
  const archives = ["libraries.zip", "cosnb.zip"].map((name) => fetched(`${folder}${name}?${digest}`));
  const { loadPyodide } = await import(`${folder}pyodide.mjs`);
  python = await loadPyodide({ indexURL: folder, env: { PYTHONHASHSEED: "0" } });
  postMessage({ step: 1 });
  for (const archive of await Promise.all(archives))
    python.unpackArchive(archive, "zip", { extractDir: "/lib/python3.14/site-packages" });
  postMessage({ step: 2 });
  python.pyimport("sympy");
  postMessage({ step: 3 });
  answer = python.pyimport("cosnb.live").answer;
  postMessage({ step: 4 });
}

onmessage = async ({ data }) => {
  try {
    if (data.folder) return await start(data);
    const values = python.toPy(data.values);
    const found = answer(data.part, data.text, values);
    const value = found.toJs({ dict_converter: Object.fromEntries }); // arrays of numbers become typed arrays
    found.destroy();
    values.destroy();
    postMessage({ part: data.part, value });
  } catch (error) {
    const last = String(error.message).trim().split("\n").pop();
    postMessage({ part: data.part, fault: last });
  }
};
