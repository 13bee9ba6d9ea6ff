// apus.js
