"""What can be tried of the Kubernetes profile without a cluster: its jobs, carried out one process each.

    python tools/kubernetes_trial.py FOLDER

A small server takes the part of the Kubernetes API. It takes the jobs that snakemake's own plugin hands in, keeps each
as FOLDER/jobs/NAME.json, runs the command of its container in an empty folder, and tells whether it ended well. FOLDER
takes the part of the shared volume. At the end the tables must equal those of a plain run. Scheduling, images, volumes
and GPUs are not tried. Needs rsync, and the network: every job fetches snakemake-storage-plugin-fs, as on a cluster.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
STUDY = "ec-pde"


class Api(BaseHTTPRequestHandler):
    """As much of the API as the plugin uses."""

    folder: Path
    ended: dict[str, int | None] = {}  # noqa: RUF012  (one server, and nobody makes a second)

    def log_message(self, *arguments) -> None:
        pass

    def answer(self, body: dict, code: int = 200) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/jobs"):
            name = body["metadata"]["name"]
            (self.folder / "jobs" / f"{name}.json").write_text(json.dumps(body, indent=1), encoding="utf-8")
            self.ended[name] = None
            threading.Thread(target=self.carry_out, args=(name, body), daemon=True).start()
        self.answer(body, 201)

    def do_GET(self) -> None:
        if "/jobs/" not in self.path:
            return self.answer({"kind": "PodList", "apiVersion": "v1", "items": []})
        code = self.ended[self.path.split("/jobs/")[1].split("/")[0]]
        status = {} if code is None else {"failed" if code else "succeeded": 1}
        return self.answer({"kind": "Job", "apiVersion": "batch/v1", "status": status})

    def do_DELETE(self) -> None:
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def carry_out(self, name: str, job: dict) -> None:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        log = self.folder / "jobs" / f"{name}.log"
        with tempfile.TemporaryDirectory() as empty, log.open("w", encoding="utf-8") as stream:
            self.ended[name] = subprocess.call(
                [*container["command"], *container["args"]], cwd=empty, stdout=stream, stderr=stream
            )


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if not shutil.which("rsync") or not find_spec("snakemake_storage_plugin_fs"):
        sys.exit("needs rsync, and: pip install snakemake-storage-plugin-fs")
    folder = Api.folder = Path(sys.argv[1]).resolve()
    (folder / "jobs").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (folder / "kubeconfig").write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "here",
                "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
                "users": [{"name": "nobody", "user": {"token": "none"}}],
            }
        ),
        encoding="utf-8",
    )
    os.environ |= {"KUBECONFIG": str(folder / "kubeconfig"), "OMP_NUM_THREADS": "1"}
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # the container's python

    def call(part: str, *command: object) -> None:
        os.environ["PRUNEBOOK_RESULTS"] = str(folder / part / "results")
        os.environ["PRUNEBOOK_CACHE"] = str(folder / part / "cache")
        subprocess.run(list(map(str, command)), cwd=ROOT, check=True)

    # The default profile, but for the place of the volume, and for the patience that a cluster needs.
    call(
        "volume",
        *(BIN / "snakemake", "--profile", "profiles/kubernetes", "--container-image", "prunebook", "--retries", 0),
        *("--default-storage-prefix", folder / "volume" / "workflow", "--latency-wait", 5, "runs"),
        *("--config", "scale=smoke", f"studies={STUDY}"),
    )
    call("plain", BIN / "prunebook", "run", STUDY, "--scale", "smoke", "--threads", 1)
    jobs = len(list((folder / "jobs").glob("*.json")))
    print(f"{jobs} jobs handed in and carried out; against a plain run:", flush=True)
    results = (folder / part / "results" for part in ("volume", "plain"))
    call("plain", sys.executable, ROOT / "tools" / "compare_results.py", *results)


if __name__ == "__main__":
    main()
