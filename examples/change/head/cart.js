export function add(cart, product) {
  console.log("adding", product);
  return [...cart, product];
}

export function count(cart) {
  return cart.length;
}
