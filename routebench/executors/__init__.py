"""Where jobs run: in processes of this machine, or on the nodes of a cluster."""
