"""What the page reads of the warehouse; read-only, each answer bounded."""
