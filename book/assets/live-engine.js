// The engine of the page "Try your own formula": a worker that is asked for parts of an answer, in turn, each for a time.
"use strict";

(() => {
  const sentence = (fault) =>
    /call stack|memory/i.test(fault)
      ? "The formula asks for more memory than a browser gives: simplify it."
      : `The engine failed: ${fault}`;

  window.LiveEngine = class {
    #worker = null;
    #wanted = []; // { part, text, values, show }, the first one under way
    #timer = 0;
    #ready = false;
    #running = false;

    // `limit` says after how many seconds a part is ended; `step` is told how far the loading is, 1 to 4.
    constructor(folder, digest, limit, step = () => {}) {
      Object.assign(this, { folder, digest, limit, step });
    }

    async #start() {
      const mine = (this.isStarted = Symbol());
      let worker = null;
      try {
        const source = await (await fetch(`${this.folder}../live-worker.js?${this.digest}`)).blob();
        if (mine !== this.isStarted) return; // ended in the meantime
        // From a blob, so that the page's policy holds for it too.
        const script = source.slice(0, source.size, "text/javascript");
        worker = this.#worker = new Worker(URL.createObjectURL(script), { type: "module" });
      } catch (error) {
        return this.#receive(worker, { fault: error.message });
      }
      worker.onmessage = ({ data }) => this.#receive(worker, data);
      worker.onerror = (event) => this.#receive(worker, { fault: event.message || "the engine did not start" });
      worker.postMessage({ folder: this.folder, digest: this.digest });
    }

    ask(part, text, values, show) {
      this.#wanted.push({ part, text, values, show });
      if (!this.isStarted) this.#start();
      this.#next();
    }

    #next() {
      if (!this.#ready || this.#running || !this.#wanted.length) return;
      this.#running = true;
      const { part, text, values } = this.#wanted[0];
      this.#worker.postMessage({ part, text, values });
      this.#timer = setTimeout(() => {
        const { show } = this.#wanted[0];
        this.end(1);
        show({ error: `The calculation was ended after its limit of ${this.limit(part)} s.` });
      }, this.limit(part) * 1000);
    }

    #receive(worker, { step, part, value, fault }) {
      if (worker !== this.#worker) return;
      if (step) {
        this.step(step);
        if (step < 4) return;
        this.#ready = true;
        this.#next();
      } else {
        clearTimeout(this.#timer);
        this.#running = false;
        const asked = this.#wanted[0];
        if (!fault) this.#wanted.shift();
        else if (part) this.end(1); // after it Python may be dead: another worker goes on
        else this.end(this.#wanted.length, false);
        asked?.show(fault ? { error: sentence(fault) } : value);
        this.#next();
      }
    }

    // Ends what is under way and drops the first `count` wishes; another worker takes over the rest.
    end(count = this.#wanted.length, again = true) {
      clearTimeout(this.#timer);
      this.#wanted.splice(0, count);
      this.#worker?.terminate();
      this.#worker = null;
      this.isStarted = undefined;
      this.#ready = this.#running = false;
      if (again) this.#start();
    }

    // Drops what is asked for; what is under way is ended, or with `patient` waited for.
    forget(patient) {
      if (this.#running && !patient) this.end();
      else this.#wanted.splice(this.#running ? 1 : 0);
    }
  };
})();
