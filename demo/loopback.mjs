// Loaded before a Node server (`node --import`): it listens on 127.0.0.1 only, on a port the system chooses,
// says which one on standard error, and ends when its standard input ends.
import net from "node:net";

const listen = net.Server.prototype.listen;

net.Server.prototype.listen = function (_port, ...rest) {
  this.once("listening", () => console.error(`listening on 127.0.0.1:${this.address().port}`));
  return listen.call(this, 0, "127.0.0.1", ...rest);
};

process.stdin.on("end", () => process.exit(0)).resume();
