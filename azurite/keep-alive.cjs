/* Azurite keeps the connections of its clients for ten minutes, as long as they are likely to come back.

Node closes a connection that was idle for five seconds. Azurite saves its whole store every five seconds, and a large one
takes it a second or more, in which nothing else runs. A request that comes in meanwhile finds its connection idle for too
long, which is closed instead of answered: under load each such save made some writes fail. Azurite has options for the
time (`--tableKeepAliveTimeout`) and reads another name than they have (3.36), so it is set where a server listens. */

const http = require("http");
const net = require("net");

const KEEP_MS = 600_000;

http.Server.prototype.listen = function (...where) {
  this.keepAliveTimeout = KEEP_MS;
  return net.Server.prototype.listen.apply(this, where);
};
