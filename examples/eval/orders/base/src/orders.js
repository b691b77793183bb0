const db = require("./db");

/** The orders of a customer, newest first. */
function ordersOf(customer) {
  return db.query("SELECT id, total FROM orders WHERE customer = $1 ORDER BY id DESC", [customer]);
}

module.exports = { ordersOf };
