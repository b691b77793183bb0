"""What is said to the model, and what its answers may carry."""
