"""What survives: streams, rules and their states, events, messages and deliveries, in SQL.

``database`` runs transactions; the other modules are functions over one open transaction, so that
whoever composes them decides what happens together. Knows nothing of what an event means.
"""
