"""From looks to people: rules, events, evidence, feeds and the outbox."""
