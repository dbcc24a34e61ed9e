"""The pages of the service: HTML made on the server, without any inline style or script."""
