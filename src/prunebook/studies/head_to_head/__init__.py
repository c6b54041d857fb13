"""All methods on the same networks, at the same ratios, with the same fine-tuning."""
