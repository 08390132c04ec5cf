"""What people see of a stream: its newest picture, with what rules say of it."""
