"""Parts of `review` and `suggest`: features of pictures, answers out of fold, files."""
