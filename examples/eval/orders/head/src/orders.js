const db = require("./db");

/** The orders of a customer, newest first. */
function ordersOf(customer, state) {
  return db.query(`SELECT id, total FROM orders WHERE customer = $1 AND state = '${state}' ORDER BY id DESC`, [customer]);
}

module.exports = { ordersOf };
