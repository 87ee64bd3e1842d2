"""What nncli can do, one call a command. Nothing here prints, and nothing is kept between calls."""
