"""Virtual environments that trimtab makes for engines, and the packages in them."""
