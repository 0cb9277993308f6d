// Uploads: many files and folders, some at a time, each with its progress, cancelled or tried again
// one by one. What is said stands in the page (`data-words`), which speaks the reader's language.
(() => {
  "use strict";

  const panel = document.getElementById("upload");
  if (!panel) return;

  const { token, at, prefix, limit, words, endpoint, bucket } = JSON.parse(panel.dataset.upload);
  const TOGETHER = 4; // uploads under way
  const PART = 16 * 1024 * 1024;
  const MOST_PARTS = 10000; // S3's
  const TRIES = 3;
  const ROWS = 200; // shown at once: a thousand files are no thousand rows
  const ENDED = new Set(["done", "cancelled"]);

  const list = panel.querySelector("ul");
  const template = panel.querySelector("template");
  const total = panel.querySelector("progress");
  const told = panel.querySelector("[role=status]");
  const jobs = [];
  let running = 0;
  let drawing = false;

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const number = new Intl.NumberFormat(document.documentElement.lang);
  const size = (bytes) => {
    const units = words.units;
    let power = 0;
    while (power + 1 < units.length && bytes >= 1000) { bytes /= 1000; power += 1; }
    return `${new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: power ? 1 : 0 }).format(bytes)}\u00a0${units[power]}`;
  };

  class Refused extends Error {
    constructor(status, answer) { super(answer?.detail ?? ""); this.status = status; }
    get again() { return this.status === 0 || this.status === 429 || this.status >= 500; }
  }

  // One request with a body whose progress is heard; `job.stop` ends it.
  const send = (job, method, path, body, heard, extra = {}) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, at + path);
    request.setRequestHeader("X-CSRF-Token", token);
    for (const [name, value] of Object.entries(extra)) request.setRequestHeader(name, value);
    request.responseType = "json";
    const stopping = () => request.abort();
    job.stops.add(stopping);
    request.upload.onprogress = (event) => heard?.(event.loaded);
    request.onloadend = () => {
      job.stops.delete(stopping);
      if (job.state === "cancelled") reject(new Refused(-1));
      else if (request.status >= 200 && request.status < 300) resolve(request.response);
      else reject(new Refused(request.status, request.response));
    };
    request.send(body);
  });

  const wait = (job, milliseconds) => new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    job.stops.add(() => { clearTimeout(timer); resolve(); });
  });

  const patiently = async (job, attempt) => {
    for (let tried = 1; ; tried += 1) {
      try {
        return await attempt();
      } catch (failure) {
        if (!(failure instanceof Refused) || !failure.again || tried === TRIES) throw failure;
        await wait(job, 500 * 2 ** tried);
        if (job.state === "cancelled") throw failure;
      }
    }
  };

  const query = (values) => new URLSearchParams(values).toString();

  const whole = async (job) => {
    const headers = { "Content-Type": job.file.type || "application/octet-stream" };
    const sent = (bytes) => { job.sent = bytes; draw(); };
    const where = query({ key: job.key, replace: job.replace ? "yes" : "" });
    await patiently(job, () => send(job, "PUT", `/content?${where}`, job.file, sent, headers));
  };

  const inParts = async (job) => {
    const part = Math.max(PART, Math.ceil(job.file.size / MOST_PARTS / PART) * PART);
    const count = Math.ceil(job.file.size / part);
    const asked = query({ key: job.key, type: job.file.type, replace: job.replace ? "yes" : "" });
    const { upload } = await patiently(job, () => send(job, "POST", `/uploads?${asked}`));
    const sent = new Array(count).fill(0);
    const made = new Array(count);
    let next = 0;
    const some = async () => {
      while (next < count && job.state === "running") {
        const index = next;
        next += 1;
        const body = job.file.slice(index * part, Math.min((index + 1) * part, job.file.size));
        const where = query({ key: job.key, upload, part: index + 1 });
        const heard = (bytes) => {
          sent[index] = Math.min(bytes, body.size);
          job.sent = sent.reduce((sum, one) => sum + one, 0);
          draw();
        };
        const answer = await patiently(job, () => send(job, "PUT", `/parts?${where}`, body, heard));
        made[index] = answer.etag;
      }
    };
    try {
      await Promise.all([some(), some(), some()]);
      if (job.state !== "running") throw new Refused(-1);
      const where = query({ key: job.key, upload, replace: job.replace ? "yes" : "" });
      const body = JSON.stringify(made);
      await patiently(job, () => send(job, "POST", `/complete?${where}`, body, null, { "Content-Type": "application/json" }));
    } catch (failure) {
      // What was sent is let go, and nothing waits for that.
      fetch(`${at}/uploads?${query({ key: job.key, upload })}`, { method: "DELETE", headers: { "X-CSRF-Token": token }, keepalive: true }).catch(() => {});
      for (const stop of job.stops) stop();
      throw failure;
    }
  };

  const run = async (job) => {
    running += 1;
    job.state = "running";
    job.why = "";
    try {
      await (job.file.size > PART * 4 ? inParts(job) : whole(job));
      job.state = "done";
      job.sent = job.file.size;
    } catch (failure) {
      if (job.state !== "cancelled") {
        job.state = failure.status === 412 ? "there" : "failed";
        job.why = failure.status === 412 ? words.there : failure.message || words.broke;
      }
    }
    running -= 1;
    draw();
    go();
  };

  const go = () => {
    for (const job of jobs) {
      if (running >= TOGETHER) return;
      if (job.state === "waiting") run(job);
    }
    if (running === 0 && jobs.some((job) => job.state === "done" && !job.listed)) refresh();
  };

  const refresh = async () => {
    for (const job of jobs) if (job.state === "done") job.listed = true;
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [before, after] = [document.getElementById("listing"), page.getElementById("listing")];
    if (before && after) before.replaceWith(after);
    document.dispatchEvent(new CustomEvent("files:listed"));
  };

  const add = (file, path) => {
    const job = { file, key: prefix + path, sent: 0, state: "waiting", why: "", stops: new Set(), replace: false };
    if (limit && file.size > limit) {
      job.state = "too-large";
      job.why = fill(words.large, { limit: size(limit), size: size(file.size) });
    }
    jobs.push(job);
  };

  const start = () => {
    if (jobs.length) panel.hidden = false;
    draw();
    go();
  };

  const cancel = (job) => {
    if (ENDED.has(job.state)) return;
    job.state = "cancelled";
    for (const stop of job.stops) stop();
  };

  const again = (job) => { job.state = "waiting"; job.sent = 0; };

  // Quoted so that a shell takes it as it is.
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const commands = (job) => [
    `mc cp ${quoted(job.file.name)} ${quoted(`coffre/${bucket}/${job.key}`)}`,
    `aws s3 cp --endpoint-url ${endpoint} ${quoted(job.file.name)} ${quoted(`s3://${bucket}/${job.key}`)}`,
  ].join("\n");

  const rowOf = (job) => {
    if (job.row) return job.row;
    const row = template.content.firstElementChild.cloneNode(true);
    row.querySelector("[data-name]").textContent = job.key.slice(prefix.length);
    row.querySelector("progress").setAttribute("aria-label", job.key);
    const act = (name, action) => row.querySelector(`[data-do=${name}]`).addEventListener("click", () => { action(); draw(); go(); });
    act("cancel", () => cancel(job));
    act("again", () => again(job));
    act("replace", () => { job.replace = true; again(job); });
    if (job.state === "too-large") {
      const advice = row.querySelector("[data-advice]");
      advice.hidden = false;
      advice.querySelector("code").textContent = commands(job);
      const copy = advice.querySelector("button");
      copy.dataset.copy = commands(job);
      copy.hidden = false;
    }
    job.row = row;
    return row;
  };

  const paint = (job) => {
    const row = rowOf(job);
    row.dataset.state = job.state;
    row.querySelector("progress").value = job.file.size ? job.sent / job.file.size : Number(job.state === "done");
    row.querySelector("progress").hidden = job.state !== "running";
    row.querySelector("[data-said]").textContent = job.why || (job.state === "running"
      ? fill(words.sent, { sent: size(job.sent), size: size(job.file.size) }) : words[job.state]);
    const shows = (name, when) => { row.querySelector(`[data-do=${name}]`).hidden = !when; };
    shows("cancel", job.state === "running" || job.state === "waiting");
    shows("again", job.state === "failed" || job.state === "cancelled");
    shows("replace", job.state === "there");
  };

  const RANK = { failed: 0, "too-large": 0, there: 0, running: 1, waiting: 2, cancelled: 3, done: 4 };

  const paintAll = () => {
    drawing = false;
    const shown = [...jobs].sort((a, b) => RANK[a.state] - RANK[b.state]).slice(0, ROWS);
    shown.forEach(paint);
    const rows = shown.map((job) => job.row);
    // Only what changed place moves: a button keeps its focus.
    if (rows.length !== list.children.length || rows.some((row, index) => list.children[index] !== row)) {
      const focused = document.activeElement;
      list.replaceChildren(...rows);
      if (list.contains(focused)) focused.focus();
    }
    const counted = { done: 0, failed: 0, running: 0, waiting: 0, cancelled: 0, there: 0, "too-large": 0 };
    let bytes = 0;
    let sent = 0;
    for (const job of jobs) {
      counted[job.state] += 1;
      if (job.state === "cancelled" || job.state === "too-large") continue;
      bytes += job.file.size;
      sent += job.state === "done" ? job.file.size : Math.min(job.sent, job.file.size);
    }
    total.max = Math.max(bytes, 1);
    total.value = bytes ? sent : Number(counted.done > 0);
    const wrong = counted.failed + counted["too-large"] + counted.there;
    told.textContent = fill(wrong ? words.totals_wrong : words.totals, {
      done: number.format(counted.done), all: number.format(jobs.length), sent: size(sent), bytes: size(bytes), wrong: number.format(wrong),
    });
    panel.dataset.state = counted.running + counted.waiting ? "running" : wrong ? "wrong" : "ended";
    panel.dataset.done = String(counted.done);
    const all = (name, when) => { panel.querySelector(`[data-all=${name}]`).hidden = !when; };
    all("cancel", counted.running + counted.waiting > 0);
    all("again", counted.failed > 0);
    all("replace", counted.there > 0);
    all("close", counted.running + counted.waiting === 0);
  };

  const draw = () => {
    if (drawing) return;
    drawing = true;
    setTimeout(paintAll, 100);
  };

  const allOf = (name, action) => panel.querySelector(`[data-all=${name}]`).addEventListener("click", () => { action(); draw(); go(); });
  allOf("cancel", () => jobs.forEach(cancel));
  allOf("again", () => jobs.filter((job) => job.state === "failed").forEach(again));
  allOf("replace", () => jobs.filter((job) => job.state === "there").forEach((job) => { job.replace = true; again(job); }));
  allOf("close", () => { jobs.length = 0; panel.hidden = true; });

  for (const input of document.querySelectorAll("input[data-choose]")) {
    input.addEventListener("change", () => {
      for (const file of input.files) add(file, file.webkitRelativePath || file.name);
      input.value = "";
      start();
    });
  }
  for (const button of document.querySelectorAll("button[data-choose]")) {
    button.hidden = false;
    button.addEventListener("click", () => document.getElementById(button.dataset.choose).click());
  }

  // A folder's entries come in pages: it is read until a page is empty.
  const walk = async (entry, path) => {
    if (entry.isFile) {
      add(await new Promise((resolve, reject) => entry.file(resolve, reject)), path + entry.name);
    } else if (entry.isDirectory) {
      const reader = entry.createReader();
      const page = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      for (let some = await page(); some.length; some = await page()) {
        for (const one of some) await walk(one, `${path}${entry.name}/`);
      }
    }
  };

  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const place = document.getElementById("drop");
  let depth = 0;
  const over = (change) => { depth = change; place.classList.toggle("over", depth > 0); };
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) over(depth + 1); });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) over(depth - 1); });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    over(0);
    // Entries are gone once the event is over: they are taken before anything is waited for.
    const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
    const taken = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()).filter(Boolean);
    for (const one of taken) {
      if (one instanceof File) add(one, one.name);
      else await walk(one, "");
    }
    start();
  });

  window.addEventListener("beforeunload", (event) => {
    if (jobs.some((job) => job.state === "running" || job.state === "waiting")) event.preventDefault();
  });
})();

// What is chosen in the list, for what is done to many.
(() => {
  "use strict";
  const chosen = () => document.querySelectorAll("#listing input[name=object]:checked");
  const tell = () => {
    const count = chosen().length;
    for (const place of document.querySelectorAll("[data-chosen]")) place.textContent = String(count);
    for (const button of document.querySelectorAll("[data-needs-chosen]")) button.disabled = count === 0;
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-all") {
      for (const box of document.querySelectorAll("#listing input[name=object]")) box.checked = event.target.checked;
    }
    tell();
  });
  document.addEventListener("files:listed", tell);
  window.addEventListener("pageshow", tell);
  tell();
})();
