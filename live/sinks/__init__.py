"""Ways to tell people and machines: webhooks, and the services that Apprise knows."""
