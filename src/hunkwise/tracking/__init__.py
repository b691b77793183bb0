"""What became of what was raised before: found again, moved, fixed, or dismissed by somebody who may."""
