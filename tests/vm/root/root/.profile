resize
