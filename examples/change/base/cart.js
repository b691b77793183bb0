export function add(cart, product) {
  return [...cart, product];
}
