"""What a sceptic would use instead: other generators and transforms, under one interface."""
