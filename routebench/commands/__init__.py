"""The `routebench` command's subcommands, a file each."""
