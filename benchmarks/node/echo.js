// The echo as the tutorials write it: express with express-ws. The port is the last argument.
"use strict";

const express = require("express");
const app = express();
require("express-ws")(app);

app.get("/healthz", (request, response) => response.send("ok"));
app.ws("/socket/echo", (socket) => {
  socket.on("message", (message) => {
    if (Buffer.isBuffer(message)) socket.send(message);
  });
});
app.listen(Number(process.argv.at(-1)), "127.0.0.1");
