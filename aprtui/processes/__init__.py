"""Programs of others: started with bounds on time and output, and ended with everything that they started."""
