// The door: what is scanned is kept in the browser until the hub has taken it, and sent in its order.
"use strict";
const form = document.getElementById("scan");
const code = document.getElementById("code");
const result = document.getElementById("result");
const kept = document.getElementById("kept");
const log = document.getElementById("log");
const shelf = `door ${form.action}`;
const RETRY = 3000;
let sending = false;

const read = () => JSON.parse(localStorage.getItem(shelf) || "[]");
const write = (queue) => localStorage.setItem(shelf, JSON.stringify(queue));

function tone(colour) {
  if (navigator.userActivation && !navigator.userActivation.hasBeenActive) return;
  try {
    const context = (tone.context ??= new AudioContext());
    const [pitch, length] = { green: [880, 0.12], amber: [520, 0.2], red: [200, 0.5] }[colour];
    const sound = context.createOscillator();
    sound.frequency.value = pitch;
    sound.connect(context.destination);
    sound.start();
    sound.stop(context.currentTime + length);
  } catch {
    // A browser without sound still shows it.
  }
}

function paragraph(name, text) {
  const made = document.createElement("p");
  made.className = name;
  made.textContent = text;
  return made;
}

function clock(at) {
  const shown = { hour12: false };
  try {
    return new Date(at).toLocaleTimeString([], { ...shown, timeZone: form.dataset.zone });
  } catch {
    return new Date(at).toLocaleTimeString([], shown); // the browser does not know the zone
  }
}

function show(found, at) {
  result.className = found.colour;
  result.replaceChildren(paragraph("name", found.name || found.code), paragraph("text", found.text));
  tone(found.colour);
  const line = document.createElement("li");
  line.className = found.colour;
  line.textContent = `${clock(at)} ${found.name || found.code}: ${found.text}`;
  log.prepend(line);
  while (log.childElementCount > 8) log.lastElementChild.remove();
}

function tell(why) {
  const waiting = read().length;
  const what = waiting === 1 ? "1 scan is" : `${waiting} scans are`;
  kept.textContent = waiting ? `${why} ${what} kept in this browser, and sent later.` : "";
  kept.className = waiting ? "strip" : "";
}

async function post(scan) {
  const fields = { json: "1", code: scan.code, key: scan.key };
  if (scan.leaves) fields.leaves = "1";
  fields.age = String(Math.round((Date.now() - scan.at) / 1000));
  const answer = await fetch(form.action, {
    method: "POST",
    body: new URLSearchParams(fields),
    redirect: "manual",
  });
  if (answer.type === "opaqueredirect") throw new Error("You are logged out: log in again.");
  if (!answer.ok) throw new Error(answer.status === 403 ? "This token may not do that." : "The hub is busy.");
  return answer.json();
}

async function send() {
  if (sending) return;
  sending = true;
  try {
    for (let queue = read(); queue.length; queue = read()) {
      show(await post(queue[0]), queue[0].at);
      write(read().slice(1));
      tell("");
    }
  } catch (error) {
    result.className = "none";
    result.replaceChildren(paragraph("name", read().at(-1).code), paragraph("text", "Kept, and sent later"));
    tell(error instanceof TypeError ? "The network is away." : error.message);
    setTimeout(send, RETRY);
  } finally {
    sending = false;
  }
}

function take(text) {
  if (!text.trim()) return;
  const key = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0")).join("");
  const leaves = form.elements.leaves.checked;
  write([...read(), { code: text.trim(), at: Date.now(), leaves, key }]);
  send();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  take(code.value);
  code.value = "";
  code.focus();
});
window.addEventListener("online", send);
send();

const camera = document.getElementById("camera");
const video = document.getElementById("video");
if (navigator.mediaDevices) camera.hidden = false;
camera.addEventListener("click", async () => {
  if (video.srcObject) {
    video.srcObject.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    video.hidden = true;
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    kept.textContent = "The camera cannot be used.";
    return;
  }
  video.hidden = false;
  await video.play();
  const { default: decode } = await import(camera.dataset.decoder);
  const canvas = document.createElement("canvas");
  const paint = canvas.getContext("2d", { willReadFrequently: true });
  let last = "";
  let seenAt = 0;
  const look = () => {
    if (!video.srcObject) return;
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    if (canvas.width) {
      paint.drawImage(video, 0, 0);
      try {
        const text = decode(paint.getImageData(0, 0, canvas.width, canvas.height));
        if (text && (text !== last || Date.now() - seenAt > 5000)) {
          last = text;
          take(text);
        }
        if (text) seenAt = Date.now();
      } catch {
        // Most pictures have no code in them.
      }
    }
    setTimeout(look, 150);
  };
  look();
});
