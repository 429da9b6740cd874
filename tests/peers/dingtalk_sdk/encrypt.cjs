// Reads an encrypted message with dingtalk-encrypt: encrypt.cjs TOKEN AES_KEY RECEIVER SIGNATURE TIMESTAMP NONCE MESSAGE
"use strict";
const DingTalkEncryptor = require("dingtalk-encrypt");

const [token, key, receiver, signature, timestamp, nonce, message] = process.argv.slice(2);
const encryptor = new DingTalkEncryptor(token, key, receiver);
const text = encryptor.getDecryptMsg(signature, timestamp, nonce, message);
console.log(JSON.stringify({ text }));
