"""Markets whose sources' worth is known from retraining, and the bank of those retrainings."""
