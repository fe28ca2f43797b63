"""Files that trimtab keeps and reads: whole or not there, strict, and never more than asked."""
