"""Where jobs run: in processes of this machine, or where a plugin runs them."""
