"""Choose the queries whose outcomes would improve a router most."""
